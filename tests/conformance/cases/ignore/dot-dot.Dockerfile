#: file .dockerignore ../README.md\n../../docs\n
FROM busybox
COPY . /x
