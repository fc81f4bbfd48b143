FROM busybox AS one
ARG A=one
RUN echo "$A" > /one
FROM busybox
RUN echo "[$A]" > /two
COPY --from=one /one /
