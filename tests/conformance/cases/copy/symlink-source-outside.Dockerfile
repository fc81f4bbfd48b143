#: context links
#: fails 4 "/outside" not found in the build context
FROM busybox
COPY outside /x
