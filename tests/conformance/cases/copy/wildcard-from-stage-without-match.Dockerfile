FROM busybox AS s
FROM busybox
COPY --from=s /nothing* /x/
