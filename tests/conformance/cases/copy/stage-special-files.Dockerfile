FROM busybox AS s
RUN mkdir /s && mkfifo -m 600 /s/fifo && mknod -m 644 /s/null c 1 3 && ln -s gone /s/dangling && touch /s/a && ln /s/a /s/b && mkdir -m 1777 /s/t && chown 1:2 /s/fifo && chown -h 3:4 /s/dangling
FROM busybox
COPY --from=s /s /s
