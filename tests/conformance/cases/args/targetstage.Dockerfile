#: target two
FROM busybox AS one
FROM busybox AS two
ARG TARGETSTAGE
RUN echo $TARGETSTAGE > /out
