FROM busybox
COPY <<-EOF /f
	one
		two
	  mixed
	EOF
