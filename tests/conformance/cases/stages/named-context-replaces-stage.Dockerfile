#: named build=docker-image://{registry}/other
# That image is: other
FROM busybox AS build
RUN exit 1
FROM busybox
COPY --from=build /opt /opt
