FROM busybox
COPY --from=scratch / /of-nothing/
