#: context ignored
FROM busybox
COPY **/x.log /x/
