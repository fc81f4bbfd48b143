#: fails 3 invalid signal: \+-5
FROM busybox
STOPSIGNAL +-5
