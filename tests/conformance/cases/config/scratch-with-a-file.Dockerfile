FROM scratch
COPY <<EOF /f
x
EOF
