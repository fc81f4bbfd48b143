#: fails 3 COPY requires at least two arguments, but none was provided: the
FROM busybox
COPY
