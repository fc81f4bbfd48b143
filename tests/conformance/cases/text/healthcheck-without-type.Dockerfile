#: fails 3 unknown type 'CURL' in HEALTHCHECK
FROM busybox
HEALTHCHECK curl localhost
