FROM busybox
COPY --parents dir/one dir/void /x/
