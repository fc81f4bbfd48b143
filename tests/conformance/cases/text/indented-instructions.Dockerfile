  FROM busybox
	RUN echo tab > /out
    ENV A=1
