FROM --platform=$BUILDPLATFORM busybox AS build
RUN echo x > /x
FROM --platform=${TARGETPLATFORM} busybox
COPY --from=build /x /
