#: fails 3 invalid containerPort: 90-80
FROM busybox
EXPOSE 90-80
