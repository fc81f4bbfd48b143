FROM busybox
COPY --link <<EOF /h/f
text
EOF
