FROM busybox
COPY a.txt ../../../up
COPY a.txt /x/../../y
