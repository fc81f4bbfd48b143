#: fails 3 exec: "/etc": is a directory
FROM busybox
RUN ["/etc"]
