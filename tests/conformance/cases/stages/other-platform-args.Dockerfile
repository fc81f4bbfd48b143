#: platform linux/arm64
FROM --platform=$BUILDPLATFORM platforms AS build
ARG TARGETPLATFORM TARGETARCH BUILDARCH
RUN echo "$TARGETPLATFORM $TARGETARCH $BUILDARCH" > /args; cat /arch >> /args
FROM platforms
COPY --from=build /args /args
