FROM busybox
COPY --parents <<EOF /x/
text
EOF
