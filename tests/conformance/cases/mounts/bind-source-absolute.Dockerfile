FROM busybox
RUN --mount=source=/dir,target=/m ls -a /m > /out
