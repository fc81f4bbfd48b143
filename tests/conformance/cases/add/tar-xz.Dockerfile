FROM busybox
ADD a.xz /x/
