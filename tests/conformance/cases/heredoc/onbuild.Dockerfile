FROM busybox AS base
ONBUILD RUN <<EOF
echo from trigger > /out
EOF
ONBUILD COPY <<F /f
$HOME text
F
FROM base
