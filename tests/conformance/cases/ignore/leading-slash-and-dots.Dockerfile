#: file .dockerignore /README.md\n./a.go\n/docs/../b.go\n/src/\n
FROM busybox
COPY . /x
