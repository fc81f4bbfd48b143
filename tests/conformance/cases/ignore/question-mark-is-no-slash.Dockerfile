#: context ignored
#: file .dockerignore a?b\n?.log\n
FROM busybox
COPY . /x
