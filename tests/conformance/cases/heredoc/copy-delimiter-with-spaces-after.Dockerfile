FROM busybox
COPY <<EOF /f
EOF 
 EOF
EOF
