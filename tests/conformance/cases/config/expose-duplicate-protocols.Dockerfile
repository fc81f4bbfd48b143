FROM busybox
EXPOSE 80/tcp 80/udp 80 80/TCP
