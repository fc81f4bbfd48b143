FROM busybox
COPY <<EOF /f
no carriage return
EOF
