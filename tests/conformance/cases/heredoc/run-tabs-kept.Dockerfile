FROM busybox
RUN cat <<EOF > /out
	tab
EOF
