FROM busybox
ADD no-extension /x/
