#: fails 3 SHELL requires at least one argument
FROM busybox
SHELL []
