FROM busybox
RUN sh <<EOF
echo $0 > /out
EOF
