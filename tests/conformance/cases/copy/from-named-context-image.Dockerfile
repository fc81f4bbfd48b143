#: named extra=docker-image://{registry}/other
# The image is that of: other
FROM busybox
COPY --from=extra /opt/other /x
