FROM busybox
COPY dir/one dir/*.nothing /x/
