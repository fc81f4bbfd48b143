#: platform linux/amd64,linux/arm64
FROM platforms
WORKDIR /w
ARG TARGETARCH
ENV ARCH=$TARGETARCH
