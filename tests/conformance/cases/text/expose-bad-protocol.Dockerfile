#: fails 3 invalid port: "80/foo": invalid proto: foo
FROM busybox
EXPOSE 80/foo
