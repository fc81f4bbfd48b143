#: fails 3 exec: "/no/such/binary": stat /no/such/binary: no such file or directory
FROM busybox
RUN ["/no/such/binary"]
