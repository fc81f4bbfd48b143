FROM busybox AS base
COPY <<EOF /etc/hosts
# the image's own
EOF
COPY <<EOF /etc/resolv.conf
# the image's own
EOF
FROM base
RUN grep -c image /etc/hosts /etc/resolv.conf > /out; true
