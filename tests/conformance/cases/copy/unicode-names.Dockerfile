FROM busybox
COPY ünï.txt /größe/
