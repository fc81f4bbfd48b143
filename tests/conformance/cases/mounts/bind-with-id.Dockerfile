FROM busybox
RUN --mount=type=bind,target=/m,id=x ls /m > /out
