FROM busybox
COPY --chmod=640 a.txt /a
COPY --chmod=0755 a.txt /b
COPY --chmod=4711 a.txt /c
COPY --chmod=700 dir /d
COPY --chmod=7777 dir2 /e
