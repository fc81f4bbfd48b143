FROM busybox
COPY <<EOF /f
# a comment?
# no

FROM nothing
EOF
