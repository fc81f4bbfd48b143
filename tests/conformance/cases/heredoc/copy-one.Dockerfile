FROM busybox
COPY <<EOF /dir/file
line
  indented
EOF
