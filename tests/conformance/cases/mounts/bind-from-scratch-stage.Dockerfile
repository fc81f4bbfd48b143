FROM scratch AS s
COPY a.txt /
FROM busybox
RUN --mount=from=s,target=/m ls /m > /out
