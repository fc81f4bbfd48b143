#: context links
FROM busybox
COPY tree /t
COPY real/file /t/up
