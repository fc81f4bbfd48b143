FROM busybox
COPY --chown=12:34 a.txt /p/q/a
COPY --chown=12:34 a.txt /p2/q/
COPY --chown=12:34 dir /p3/d
