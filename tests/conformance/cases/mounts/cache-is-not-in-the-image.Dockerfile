FROM busybox
RUN --mount=type=cache,id=notin,target=/cache/dir touch /cache/dir/x
