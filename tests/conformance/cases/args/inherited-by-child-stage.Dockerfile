FROM busybox AS one
ARG A=one
FROM one
RUN echo "[$A]" > /out
