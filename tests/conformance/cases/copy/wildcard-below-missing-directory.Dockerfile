#: fails 3 "/nothing" not found in the build context
FROM busybox
COPY nothing/*.txt /below-missing/
