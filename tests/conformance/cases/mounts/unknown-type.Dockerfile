#: fails 3 unsupported mount type 'volume'
FROM busybox
RUN --mount=type=volume,target=/m true
