#: fails 3 "/missing\.txt" not found in the build context
FROM busybox
COPY missing.txt /x
