#: fails 3 exec: no command
FROM busybox
RUN []
