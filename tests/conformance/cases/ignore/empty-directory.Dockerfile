#: context ignored
#: file .dockerignore void\na/b/c\n
FROM busybox
COPY . /x
