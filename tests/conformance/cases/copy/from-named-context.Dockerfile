#: named extra=links
FROM busybox
COPY --from=extra real /x
COPY --from=extra hard /y
