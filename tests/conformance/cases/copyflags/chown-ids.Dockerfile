FROM busybox
COPY --chown=12:34 a.txt /a
COPY --chown=12 a.txt /b
COPY --chown=12:34 dir /d
