FROM busybox
ADD modes.tar /x/
