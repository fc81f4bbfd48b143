#: fails 3 LABEL must have two arguments
FROM busybox
LABEL name
