#: context links
#: fails 4 "/dangling" not found in the build context
FROM busybox
COPY dangling /x
