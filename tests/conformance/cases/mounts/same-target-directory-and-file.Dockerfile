FROM busybox
RUN --mount=type=cache,id=a,dst=m --mount=type=bind,from=other,source=/opt/other,dst=/m ls -ld /m | cut -c1-30 >/out; cat /m >>/out || true
