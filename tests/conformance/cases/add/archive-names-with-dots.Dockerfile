FROM busybox
ADD dots.tar /x/
