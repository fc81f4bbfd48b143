FROM busybox
RUN --mount=target=/m ["cp", "/m/a.txt", "/out"]
