FROM busybox
COPY --chown=nobody dir /d
COPY --chown=nobody: a.txt /a
