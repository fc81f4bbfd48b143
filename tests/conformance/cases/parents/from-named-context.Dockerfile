#: named extra=ignored
FROM busybox
COPY --parents --from=extra a/b/c/d /x/
