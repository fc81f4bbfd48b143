FROM busybox
RUN cat 3<<EOF <&3 > /out
three
EOF
