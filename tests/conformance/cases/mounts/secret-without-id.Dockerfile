#: fails 3 invalid secret mount: one of source, target, id is required
FROM busybox
RUN --mount=type=secret true
