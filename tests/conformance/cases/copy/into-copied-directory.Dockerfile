FROM busybox
COPY dir /x
COPY dir2 /x/sub
COPY a.txt /x/sub/deep/
