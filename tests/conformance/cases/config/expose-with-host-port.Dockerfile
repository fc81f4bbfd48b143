# The host's port is dropped.
FROM busybox
EXPOSE 8080:80
