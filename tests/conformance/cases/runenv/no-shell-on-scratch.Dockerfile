#: fails 3 exec: "/bin/sh": stat /bin/sh: no such file or directory
FROM scratch
RUN echo x
