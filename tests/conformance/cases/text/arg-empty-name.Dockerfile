#: fails 3 ARG names can not be blank
FROM busybox
ARG =value
