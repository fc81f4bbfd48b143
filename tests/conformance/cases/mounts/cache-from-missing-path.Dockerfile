#: fails 4 there is no '/nothere' in what is to be mounted
FROM busybox AS s
FROM busybox
RUN --mount=type=cache,from=s,source=/nothere,target=/c ls /c
