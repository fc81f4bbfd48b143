FROM busybox
COPY --parents dir/one /x
