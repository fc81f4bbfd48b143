#: fails 3 gzip data ends too early
FROM busybox
ADD truncated.tar.gz /x/
