#: fails 3 unexpected key 'size' for mount type 'cache'
FROM busybox
RUN --mount=type=cache,target=/c,size=1m true
