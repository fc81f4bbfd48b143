FROM busybox
ADD <<EOF /f
added
EOF
