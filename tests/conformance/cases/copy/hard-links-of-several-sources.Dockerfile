#: context links
FROM busybox
COPY hard/one hard/two /x/
