FROM busybox
COPY dir/* /x/
COPY .h* /y/
