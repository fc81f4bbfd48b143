FROM busybox
RUN --mount=type=bind,"source=with space.txt",target=/m cat /m > /out
