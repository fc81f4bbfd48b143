FROM busybox
RUN ulimit -a > /out
