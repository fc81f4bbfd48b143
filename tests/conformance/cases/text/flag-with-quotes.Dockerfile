#: context copy
FROM busybox
COPY --chmod="600" a.txt /x
COPY --chown='1:2' a.txt /y
