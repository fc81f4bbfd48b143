FROM busybox
RUN mkdir -p /x/dir && chmod 700 /x/dir && chown 9:9 /x/dir
COPY --parents dir/one /x/
