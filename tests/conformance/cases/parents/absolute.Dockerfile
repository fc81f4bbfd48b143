#: context ignored
FROM busybox
COPY --parents /a/b/c/d /x/
