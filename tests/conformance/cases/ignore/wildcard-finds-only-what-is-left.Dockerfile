#: context ignored
#: file .dockerignore x.log\n
FROM busybox
COPY x* /x/
