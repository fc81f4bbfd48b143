FROM busybox
COPY --parents nothing/* /x/
