FROM busybox
ADD absolute.tar /x/
