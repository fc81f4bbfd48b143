#: context ignored
FROM busybox
COPY --parents a/x.log a/b/x.log a/b/c/d /x/
