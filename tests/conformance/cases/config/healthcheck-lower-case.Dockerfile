FROM busybox
HEALTHCHECK cmd x
