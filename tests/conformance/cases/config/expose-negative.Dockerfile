#: fails 3 invalid containerPort: -1
FROM busybox
EXPOSE -1
