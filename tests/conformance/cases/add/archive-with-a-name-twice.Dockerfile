FROM busybox
ADD twice.tar /x/
