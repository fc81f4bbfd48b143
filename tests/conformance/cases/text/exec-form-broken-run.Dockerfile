#: fails 3 exit code: 127
FROM busybox
RUN ['echo', 'x']
