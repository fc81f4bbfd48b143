FROM busybox
ADD a.tar /
