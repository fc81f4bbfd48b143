FROM busybox
ADD single.gz /x/
