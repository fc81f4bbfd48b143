#: remote git
#: file .dockerignore *\n
#: file a a\n
FROM busybox
COPY a /a
