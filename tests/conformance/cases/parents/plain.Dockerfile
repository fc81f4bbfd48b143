FROM busybox
COPY --parents dir/sub/three.txt a.txt /x/
