#: fails 3 HEALTHCHECK requires at least one argument
FROM busybox
HEALTHCHECK
