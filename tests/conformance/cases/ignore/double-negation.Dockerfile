#: context ignored
#: file .dockerignore a\n!a/b\na/b/c\n!a/b/c/d\n
FROM busybox
COPY . /x
