FROM busybox
ENV D=/there
ADD a.txt $D/
