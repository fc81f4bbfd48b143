FROM busybox
COPY --chmod= a.txt /a
