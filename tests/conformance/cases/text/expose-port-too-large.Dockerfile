#: fails 3 invalid containerPort: 65536
FROM busybox
EXPOSE 65536
