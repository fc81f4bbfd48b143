#: remote tar
#: fails 4 nothing-here
FROM busybox
COPY nothing-here /
