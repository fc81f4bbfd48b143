#: context special
#: mtimes s/* s2
FROM busybox
COPY sockets /s/
COPY --chown=3:4 sockets/socket /s2
COPY sockets/sock* /s3/
