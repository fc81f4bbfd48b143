#: platform linux/amd64,linux/arm64
FROM scratch AS a
ARG TARGETARCH
ONBUILD LABEL a=$TARGETARCH
FROM a
