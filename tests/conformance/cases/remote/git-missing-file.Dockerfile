#: remote git
#: fails 4 nothing-here
FROM busybox
COPY nothing-here /
