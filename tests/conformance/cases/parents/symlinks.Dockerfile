#: context links
FROM busybox
COPY --parents tree/up tree/dir hard /x/
