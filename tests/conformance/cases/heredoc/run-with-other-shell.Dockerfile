FROM busybox
SHELL ["/bin/sh", "-ec"]
RUN <<EOF
echo x > /out
EOF
