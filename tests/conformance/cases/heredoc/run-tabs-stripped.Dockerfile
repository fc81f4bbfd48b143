FROM busybox
RUN <<-EOF
	echo tab > /out
		echo two tabs >> /out
	EOF
