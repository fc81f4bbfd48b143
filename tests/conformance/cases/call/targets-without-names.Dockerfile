#: call targets
FROM scratch
LABEL a=b
FROM busybox
