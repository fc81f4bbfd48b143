FROM busybox
COPY --parents --link dir/sub/three.txt /x/
