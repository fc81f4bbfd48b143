#: context links
FROM busybox
COPY --chmod=600 tree /t
COPY --chmod=600 to-file /x
