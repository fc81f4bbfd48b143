FROM busybox
COPY <<EOF /f
one
two
EOF
RUN <<EOF
echo x > /out
EOF
