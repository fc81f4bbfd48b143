#: fails 3 failed to process .*unclosed
FROM busybox
COPY <<EOF /f
${unclosed
EOF
