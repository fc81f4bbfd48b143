#: fails 3 invalid field 'target' must be a key=value pair
FROM busybox
RUN --mount=target true
