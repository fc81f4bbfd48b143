#: fails 3 secret mount should not have a from
FROM busybox
RUN --mount=type=secret,id=x,from=busybox true
