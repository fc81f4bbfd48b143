#: fails 3 not granted(?s:.*)--allow security.insecure
FROM busybox
RUN --security=insecure true
