#: file .dockerignore src/**/z.go\n
FROM busybox
COPY . /x
