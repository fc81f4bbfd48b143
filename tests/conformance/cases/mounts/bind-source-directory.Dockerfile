FROM busybox
RUN --mount=src=dir/sub,dst=/m find /m | sort > /out
