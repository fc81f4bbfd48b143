#: fails 3 "/missing/file" not found in the build context
FROM busybox
COPY --parents missing/file /x/
