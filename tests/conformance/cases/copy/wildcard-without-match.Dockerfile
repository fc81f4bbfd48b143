FROM busybox
COPY nothing* /x/
COPY a.txt none?.md /y/
