#: fails 4 invalid signal: 
FROM busybox
ENV S=
STOPSIGNAL $S
