FROM busybox
COPY --parents dir/sub /x/
#: mtimes x/dir/sub/three.txt
