FROM busybox
ENV V=val
COPY <<EOF /plain
$V ${V:-x} ${U:-default} \$V "$V" '$V'
EOF
COPY <<"EOF" /quoted
$V ${V}
EOF
COPY <<'EOF' /single
$V ${V}
EOF
