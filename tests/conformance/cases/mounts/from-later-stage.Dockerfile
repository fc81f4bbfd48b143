FROM busybox
RUN --mount=from=later,target=/m true
FROM busybox AS later
