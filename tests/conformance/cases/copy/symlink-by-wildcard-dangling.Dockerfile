#: context links
#: fails 4 "/tree/dangling" not found in the build context
FROM busybox
COPY tree/da* /y/
