#: named build=docker-image://{registry}/other:latest
FROM busybox AS build
RUN false
FROM busybox
COPY --from=build /opt/other /o
# other
