FROM busybox
EXPOSE 0
