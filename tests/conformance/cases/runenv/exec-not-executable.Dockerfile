#: fails 3 exec: "/etc/passwd": permission denied
FROM busybox
RUN ["/etc/passwd"]
