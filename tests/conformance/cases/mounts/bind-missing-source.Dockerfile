#: fails 3 "/missing" not found
FROM busybox
RUN --mount=source=missing,target=/m true
