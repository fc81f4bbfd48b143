FROM busybox
RUN --mount=type=cache,id=m1,target=/c,sharing=shared echo 1 > /c/f
RUN --mount=type=cache,id=m2,target=/c,sharing=private echo 1 > /c/f
RUN --mount=type=cache,id=m3,target=/c,sharing=locked echo 1 > /c/f; ls /c > /out
