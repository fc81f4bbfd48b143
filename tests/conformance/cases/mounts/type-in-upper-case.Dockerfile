FROM busybox
RUN --mount=type=TMPFS,target=/t ls -a /t > /out
