#: platform linux/x86_64,linux/aarch64
FROM scratch
ARG TARGETPLATFORM
LABEL p=$TARGETPLATFORM
