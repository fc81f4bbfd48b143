From busybox
eNv A=1
RuN echo $A > /out
