#: fails 3 invalid containerPort: http
FROM busybox
EXPOSE http
