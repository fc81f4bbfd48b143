FROM busybox
RUN --mount=target=/c true
COPY dir/*.nothing /x/
