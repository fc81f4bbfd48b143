FROM busybox
RUN mkdir /d && echo old > /d/f && chmod 700 /d/f && chown 9:9 /d/f && chmod 711 /d && chown 8:8 /d
COPY a.txt /d/f
