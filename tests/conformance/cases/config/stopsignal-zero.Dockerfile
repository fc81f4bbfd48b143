#: fails 3 invalid signal: 0
FROM busybox
STOPSIGNAL 0
