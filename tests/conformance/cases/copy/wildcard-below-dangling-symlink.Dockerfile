#: fails 3 "/dangling" not found in
FROM busybox
COPY --from=merged /dangling/*.txt /below-dangling/
