#: fails 3 not granted(?s:.*)--allow network.host
FROM busybox
RUN --network=host true
