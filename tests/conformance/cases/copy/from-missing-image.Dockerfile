#: fails 3 127.0.0.1:1
FROM busybox
COPY --from=127.0.0.1:1/nothing:here /x /x
