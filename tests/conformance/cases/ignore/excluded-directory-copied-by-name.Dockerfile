#: context ignored
#: file .dockerignore a\n
#: fails 5 "/a" not found in the build context
FROM busybox
COPY a /x
