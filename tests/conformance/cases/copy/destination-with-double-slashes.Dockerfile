FROM busybox
COPY a.txt //x//y//
COPY b.txt /z//w
