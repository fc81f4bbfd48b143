#: file .dockerignore docs\n!docs/a.md\n!docs/deep/c.md\n
FROM busybox
COPY . /x
