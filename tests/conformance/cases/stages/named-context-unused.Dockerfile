#: named nobody=copy
FROM busybox
RUN true
