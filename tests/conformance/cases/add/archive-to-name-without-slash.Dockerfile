FROM busybox
ADD a.tar /x
