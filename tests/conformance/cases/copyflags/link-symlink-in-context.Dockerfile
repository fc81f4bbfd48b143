#: context links
FROM busybox
COPY --link to-file /x
COPY --link tree /t
