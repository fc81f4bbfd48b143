FROM busybox
ARG ID=cacheid T=/var/cache/x
RUN --mount=type=cache,id=$ID,target=$T echo 1 > $T/f; ls $T > /out
ENV SRC=a.txt
RUN --mount=type=bind,source=$SRC,target=/m cat /m > /out2
