FROM busybox AS s
RUN mkdir -p /s/a /s/ab && touch /s/a/1 /s/ab/2 /s/x.c /s/y.c
FROM busybox
COPY --from=s /s/a* /dirs/
COPY --from=s /s/*.c /files/
COPY --from=s /s/*/? /deep/
