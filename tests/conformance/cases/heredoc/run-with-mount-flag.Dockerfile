#: context copy
FROM busybox
RUN --mount=type=bind,target=/m <<EOF
cat /m/a.txt > /out
EOF
