#: fails 4 "/nothing" not found in
FROM busybox AS s
FROM busybox
COPY --from=s /nothing/*.txt /below-missing-of-stage/
