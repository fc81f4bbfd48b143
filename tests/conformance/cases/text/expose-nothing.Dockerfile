#: fails 3 EXPOSE requires at least one argument
FROM busybox
EXPOSE
