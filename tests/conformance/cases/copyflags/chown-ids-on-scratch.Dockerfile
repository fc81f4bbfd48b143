FROM scratch
COPY --chown=1000:1000 a.txt /a
COPY --chown=0:0 dir /d
