FROM busybox
COPY --from=merged /real/file/*.txt /x/
