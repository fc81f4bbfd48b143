#: fails 3 LABEL names can not be blank
FROM busybox
LABEL =value
