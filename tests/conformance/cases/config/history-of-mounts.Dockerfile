#: context copy
FROM busybox
RUN --mount=type=tmpfs,target=/t true
RUN --mount=type=bind,target=/m --network=none true
