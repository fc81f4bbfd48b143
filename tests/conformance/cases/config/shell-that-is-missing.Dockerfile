#: fails 4 exec: "/no/such/shell": stat /no/such/shell: no such file or directory
FROM busybox
SHELL ["/no/such/shell", "-c"]
RUN echo x
