FROM busybox
COPY --link a.txt /x/a
COPY --link b.txt /x/b
COPY --link dir /x/
