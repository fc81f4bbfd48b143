FROM busybox
ADD --chmod=640 a.tar /x/
