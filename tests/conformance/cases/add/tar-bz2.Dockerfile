FROM busybox
ADD a.bz2 /x/
