#: context ignored
FROM busybox
COPY --exclude=a/b --exclude=!a/b/c . /x/
