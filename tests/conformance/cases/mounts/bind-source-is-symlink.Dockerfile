#: context links
FROM busybox
RUN --mount=source=to-dir,target=/m ls /m > /out
