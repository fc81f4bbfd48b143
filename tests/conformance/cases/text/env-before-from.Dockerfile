#: fails 2 no build stage in current context
ENV A=1
FROM busybox
