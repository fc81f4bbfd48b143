FROM busybox
LABEL ${NOPE}=x b=c
