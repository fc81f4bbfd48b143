#: named extra=patterns
#: file .dockerignore docs\n
FROM busybox
COPY --from=extra . /x
