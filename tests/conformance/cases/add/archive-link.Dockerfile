FROM busybox
ADD --link a.tar /x/
