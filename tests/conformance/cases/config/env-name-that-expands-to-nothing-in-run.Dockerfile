#: fails 4 environment variable .=x. has no name
FROM busybox
ENV ${NOPE}=x b=c
RUN env
