FROM busybox
COPY dir dir/sub dir/sub/three.txt /x/
