#: context ignored
FROM busybox
COPY --parents ./a/b /x/
