FROM busybox
RUN --mount=target=/m cat /m/a.txt > /out
