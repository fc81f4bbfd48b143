#: fails 3 invalid mount target "/"
FROM busybox
RUN --mount=target=/ true
