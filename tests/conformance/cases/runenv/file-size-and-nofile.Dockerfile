FROM busybox
RUN ulimit -n > /out; ulimit -u >> /out; ulimit -c >> /out
