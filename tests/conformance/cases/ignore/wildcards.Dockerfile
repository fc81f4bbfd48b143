#: file .dockerignore *.go\ndocs/*.md\nx?\n
FROM busybox
COPY . /x
