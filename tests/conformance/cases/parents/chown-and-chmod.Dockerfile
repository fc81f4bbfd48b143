FROM busybox
COPY --parents --chown=5:6 --chmod=711 dir/sub/three.txt /x/
