#: file .dockerignore docs/*.md\n
FROM busybox
COPY docs /x
