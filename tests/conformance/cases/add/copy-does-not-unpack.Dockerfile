FROM busybox
COPY a.tar a.gz /x/
