#: fails 3 invalid mount target "/"
FROM busybox
RUN --mount=type=cache,id=x true
