FROM busybox AS one
FROM busybox
ARG TARGETSTAGE
RUN echo "[$TARGETSTAGE]" > /out
