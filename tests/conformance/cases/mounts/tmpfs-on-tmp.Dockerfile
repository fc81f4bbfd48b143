FROM busybox
RUN --mount=type=tmpfs,target=/tmp touch /tmp/x && ls -ld /tmp | cut -c1-10 > /out
