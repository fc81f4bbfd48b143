FROM busybox
WORKDIR /w
ADD many/one.tar .
ADD plain.txt sub/
