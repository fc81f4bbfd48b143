FROM busybox
WORKDIR /w
COPY <<EOF f
x
EOF
