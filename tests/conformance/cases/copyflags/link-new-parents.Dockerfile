FROM busybox
COPY --link --chown=3:4 a.txt /p/q/a
COPY --link a.txt /x/y/
