#: fails 3 unsupported sharing value 'sometimes'
FROM busybox
RUN --mount=type=cache,target=/c,sharing=sometimes true
