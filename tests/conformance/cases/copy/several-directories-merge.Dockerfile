FROM busybox
COPY dir dir2 /dst/
