#: fails 3 invalid stage index 5
FROM busybox
COPY --from=5 /x /x
