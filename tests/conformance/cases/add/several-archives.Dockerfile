FROM busybox
ADD many/one.tar many/two.tar.gz plain.txt /x/
