FROM busybox
ARG TARGETARCH=mine
RUN echo $TARGETARCH > /out
