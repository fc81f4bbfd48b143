#: platform linux/amd64,linux/arm64
FROM scratch AS base-amd64
LABEL is=amd
FROM scratch AS base-arm64
LABEL is=arm
ARG TARGETARCH
FROM base-${TARGETARCH}
