#: context ignored
#: file .dockerignore link\nlink/b\n
FROM busybox
COPY . /x
