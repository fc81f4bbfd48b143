FROM busybox AS base
ONBUILD USER 7
ONBUILD WORKDIR /trigger
FROM base
RUN id -u > /tmp/id; pwd >> /tmp/id
