FROM busybox AS one
FROM busybox
COPY --from=one <<EOF /f
x
EOF
