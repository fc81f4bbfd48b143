FROM busybox
ADD gzip.zip /x/
