#: fails 3 missing command after HEALTHCHECK CMD
FROM busybox
HEALTHCHECK CMD
