FROM busybox
ENV a.b=1 c-d=2
RUN env | grep -e ^a.b= -e ^c-d= | sort > /out
