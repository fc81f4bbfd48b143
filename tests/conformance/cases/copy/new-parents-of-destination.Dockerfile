FROM busybox
USER nobody
WORKDIR /tmp
COPY a.txt /p/q/r/a
COPY a.txt rel/p/a
#: mtimes p/q/r/a
