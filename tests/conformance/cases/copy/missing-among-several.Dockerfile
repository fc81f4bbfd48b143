#: fails 3 "/missing" not found in the build context
FROM busybox
COPY a.txt missing b.txt /x/
