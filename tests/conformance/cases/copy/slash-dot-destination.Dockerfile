FROM busybox
WORKDIR /w
COPY a.txt /x/.
COPY b.txt ./
COPY dir2 /y/.
