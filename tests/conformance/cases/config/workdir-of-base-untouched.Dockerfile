FROM configured
USER 0
COPY <<EOF rel
x
EOF
