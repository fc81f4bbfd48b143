FROM busybox
LABEL a= b=""
