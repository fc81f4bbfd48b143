FROM busybox
WORKDIR /w
COPY --parents dir/one dir2/five .
