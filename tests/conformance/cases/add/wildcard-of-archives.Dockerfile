FROM busybox
ADD many/* /x/
