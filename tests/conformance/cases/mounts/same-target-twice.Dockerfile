FROM busybox
RUN --mount=source=dir,target=/m --mount=source=dir2,target=/m ls -a /m > /out
