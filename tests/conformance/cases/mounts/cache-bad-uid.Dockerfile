#: fails 3 invalid value for uid: 'alice'
FROM busybox
RUN --mount=type=cache,target=/c,uid=alice true
