FROM busybox
COPY --link a.txt /a
COPY --link dir /d
COPY --link a.txt b.txt /etc/
