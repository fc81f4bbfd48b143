#: target two
FROM busybox AS one
ARG LATE=x
FROM busybox AS two
ARG LATE
RUN echo "[${LATE-unset}]" > /out
