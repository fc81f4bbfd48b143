FROM busybox
ENV ${NOPE}=x b=c
