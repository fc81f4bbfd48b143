FROM busybox
WORKDIR /w
RUN --mount=type=cache,id=rel,target=c echo 1 > c/f; ls /w > /out
