FROM busybox
ADD types.tar /x/
