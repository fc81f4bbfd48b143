FROM busybox
COPY --chmod=0 a.txt /a
COPY --chmod=000 b.txt /b
