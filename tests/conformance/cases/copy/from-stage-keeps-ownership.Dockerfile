FROM busybox AS s
RUN mkdir -p /d/e && echo x > /d/f && chown 5:6 /d/f && chmod 4711 /d/f && chown 7:8 /d/e /d && ln /d/f /d/hard && ln -s f /d/sym && mkfifo /d/fifo
FROM busybox
COPY --from=s /d /dst
COPY --from=s /d/f /single
