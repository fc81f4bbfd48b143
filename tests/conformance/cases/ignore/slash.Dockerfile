#: file .dockerignore /\n
FROM busybox
COPY . /x
