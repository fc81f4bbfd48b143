#: context links
FROM busybox
COPY hard /x
