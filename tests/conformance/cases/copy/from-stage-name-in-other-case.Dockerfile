FROM busybox AS Build
RUN echo 0 > /f
FROM busybox
COPY --from=bUILD /f /f
