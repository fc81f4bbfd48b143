#: file .dockerignore !src\n
FROM busybox
COPY . /x
