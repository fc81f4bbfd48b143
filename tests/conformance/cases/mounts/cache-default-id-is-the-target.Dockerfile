FROM busybox
RUN --mount=type=cache,target=/default-id echo one > /default-id/f
RUN --mount=type=cache,target=/default-id/ cat /default-id/f > /out
