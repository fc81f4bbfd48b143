FROM busybox
RUN ls /proc/self/fd | wc -l > /out
