FROM busybox
ENV V=x
RUN <<"EOF"
echo $V > /out
EOF
