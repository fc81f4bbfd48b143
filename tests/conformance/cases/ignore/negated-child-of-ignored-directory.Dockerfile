#: file .dockerignore src\n!src/x/y/z.go\n
FROM busybox
COPY . /x
