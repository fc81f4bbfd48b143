FROM busybox
ADD empty.tar /x/
