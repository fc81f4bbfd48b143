#: context ignored
FROM busybox
COPY --parents --exclude=a/b a /x/
