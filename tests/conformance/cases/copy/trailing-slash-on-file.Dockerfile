FROM busybox
COPY a.txt/ /x
