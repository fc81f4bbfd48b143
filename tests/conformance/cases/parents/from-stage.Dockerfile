FROM busybox AS s
RUN mkdir -p /a/b/c && chown 3:4 /a/b && chmod 700 /a/b && touch /a/b/c/f /a/b/g
FROM busybox
COPY --parents --from=s /a/b/c/f /x/
COPY --parents --from=s /a/./b/* /y/
