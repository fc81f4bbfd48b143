FROM busybox AS same
RUN echo 1 > /f
FROM busybox AS same
RUN echo 2 > /f
FROM busybox
COPY --from=same /f /f
