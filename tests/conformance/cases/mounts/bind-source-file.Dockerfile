FROM busybox
RUN --mount=source=dir/one,target=/m cat /m > /out
