FROM busybox AS b
FROM scratch
COPY --from=b /bin/busybox /bin/sh
RUN echo $PATH > /out
