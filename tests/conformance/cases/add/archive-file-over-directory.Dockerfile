FROM busybox
RUN mkdir -p /x/d/file/y
ADD a.tar /x/
