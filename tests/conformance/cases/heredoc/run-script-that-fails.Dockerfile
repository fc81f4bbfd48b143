#: fails 3 did not complete successfully: exit code: 3
FROM busybox
RUN <<EOF
echo x
exit 3
EOF
