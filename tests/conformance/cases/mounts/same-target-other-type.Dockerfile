#: secret s=x
FROM busybox
RUN --mount=type=cache,id=a,dst=m --mount=type=secret,dst=/m,uid=5,id=s ls -ld /m | cut -c1-30 >/out; cat /m >>/out || true
RUN --mount=type=secret,dst=/n,uid=5,id=s --mount=type=cache,id=a,dst=n ls -ld /n | cut -c1-30 >/out2; cat /n >> /out2|| true
