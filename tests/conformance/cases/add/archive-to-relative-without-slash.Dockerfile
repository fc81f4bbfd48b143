FROM busybox
WORKDIR /w
ADD many/one.tar sub
