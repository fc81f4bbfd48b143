#: context links
FROM busybox
COPY to-f* /x/
COPY tree/di* /y/
