#: file .dockerignore *.go\n!a.go\na.go\n!a*.go\n
FROM busybox
COPY . /x
