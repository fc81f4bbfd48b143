FROM scratch AS s
COPY <<EOF /f
x
EOF
FROM s
LABEL a=1
