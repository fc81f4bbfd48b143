FROM busybox
RUN --network=none --mount=type=tmpfs,target=/t --security=sandbox touch /t/x
