#: fails 3 invalid signal: SIGNOPE
FROM busybox
STOPSIGNAL SIGNOPE
