FROM busybox
ADD a.gz /x/
