FROM busybox
RUN mkdir -p /d/sub && chmod 711 /d && chown 8:8 /d && chmod 700 /d/sub && chown 7:7 /d/sub && touch /d/stays
COPY dir /d
