#: file .dockerignore a*.go\n
FROM busybox
COPY *.go /x/
