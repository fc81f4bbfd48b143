FROM busybox
RUN ls /dev/mqueue > /out; cat /proc/sys/kernel/msgmax | wc -l >> /out
