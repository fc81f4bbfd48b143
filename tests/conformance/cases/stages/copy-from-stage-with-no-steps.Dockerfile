FROM busybox AS plain
FROM scratch
COPY --from=plain /etc /etc
