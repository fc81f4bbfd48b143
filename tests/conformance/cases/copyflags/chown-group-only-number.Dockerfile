FROM busybox
COPY --chown=:7 a.txt /a
