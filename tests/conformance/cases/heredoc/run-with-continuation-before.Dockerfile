FROM busybox
RUN true && \
  cat <<EOF > /out
text \
continued
EOF
