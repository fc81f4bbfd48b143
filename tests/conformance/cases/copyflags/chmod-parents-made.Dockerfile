FROM busybox
COPY --chmod=700 a.txt /p/q/a
COPY --chmod=u=rwx,go= a.txt /p2/q/a
COPY --chmod=640 dir /p3/d
