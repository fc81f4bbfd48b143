FROM busybox
COPY --chown= a.txt /a
