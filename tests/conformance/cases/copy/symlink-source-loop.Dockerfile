#: context links
#: fails 4 too many levels of symbolic links in 'loop'
FROM busybox
COPY loop /x
