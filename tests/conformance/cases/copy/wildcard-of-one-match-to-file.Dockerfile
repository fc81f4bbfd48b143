FROM busybox
COPY script* /x
