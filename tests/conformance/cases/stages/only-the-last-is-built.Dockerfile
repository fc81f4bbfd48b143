FROM busybox AS one
COPY missing-file /
FROM busybox
