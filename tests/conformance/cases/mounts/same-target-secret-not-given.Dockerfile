FROM busybox
RUN --mount=type=tmpfs,dst=/m --mount=type=secret,dst=/m,id=s ls -ld /m | cut -c1-30 >/out
