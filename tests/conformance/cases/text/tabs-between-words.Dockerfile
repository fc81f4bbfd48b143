FROM	busybox
ENV	A=1	B=2
RUN	echo	x	>	/out
COPY	--chmod=600	--from=busybox	/etc/passwd	/copy
