#: args TARGETARCH=sparc
FROM busybox
ARG TARGETARCH
RUN echo $TARGETARCH > /out
