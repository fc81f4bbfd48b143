FROM busybox
RUN --mount=type=tmpfs,target=/dev/mine touch /dev/mine/x && ls /dev/mine > /out
RUN --mount=type=tmpfs,target=/run/x touch /run/x/y
