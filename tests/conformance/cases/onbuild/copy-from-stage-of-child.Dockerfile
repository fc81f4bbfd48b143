FROM busybox AS tools
RUN echo tool > /tool
FROM busybox AS base
ONBUILD COPY --from=tools /tool /tool
FROM base
