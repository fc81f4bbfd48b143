#: fails 3 COPY requires at least two arguments, but only one was provided: the
FROM busybox
COPY a
