#: fails 4 "/missing" not found in the image or stage
FROM busybox AS one
FROM busybox
COPY --from=one /missing /x
