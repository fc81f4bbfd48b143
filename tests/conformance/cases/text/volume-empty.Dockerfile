#: fails 3 VOLUME requires at least one argument
FROM busybox
VOLUME
