FROM busybox
ADD cut.tar /x/
