FROM busybox
ADD devices.tar /x/
