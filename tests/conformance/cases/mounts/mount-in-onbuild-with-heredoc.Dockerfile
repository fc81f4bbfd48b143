FROM busybox AS base
ONBUILD RUN --mount=target=/m <<EOF
cat /m/a.txt > /out
EOF
FROM base
