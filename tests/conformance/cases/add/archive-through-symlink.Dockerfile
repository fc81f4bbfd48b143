FROM busybox
ADD link.tar /x/
