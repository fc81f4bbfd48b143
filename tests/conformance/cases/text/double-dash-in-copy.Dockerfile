#: context copy
FROM busybox
COPY -- a.txt /x
