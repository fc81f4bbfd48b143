#: fails 3 ONBUILD requires at least one argument
FROM busybox
ONBUILD
