#: fails 3 exit code: 1
FROM busybox
RUN --mount=target=/m touch /m/new
