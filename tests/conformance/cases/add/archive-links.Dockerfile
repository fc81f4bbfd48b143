FROM busybox
ADD links.tar /x/
