FROM busybox
ADD many/one.tar many /x/
