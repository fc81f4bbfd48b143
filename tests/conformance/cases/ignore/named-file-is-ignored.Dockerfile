#: file .dockerignore README.md\n
#: fails 4 "/README\.md" not found(?s:.*)excluded by
FROM busybox
COPY README.md /x
