FROM busybox
COPY dir /
