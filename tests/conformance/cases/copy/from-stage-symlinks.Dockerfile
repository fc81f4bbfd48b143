FROM busybox AS s
RUN mkdir -p /d/real && echo r > /d/real/f && ln -s real /d/rel && ln -s /d/real /d/abs && ln -s /d/real/f /d/file && ln -s ../../../../d/real/f /d/up
FROM busybox
COPY --from=s /d/rel /rel
COPY --from=s /d/abs /abs
COPY --from=s /d/file /file
COPY --from=s /d/up /up
COPY --from=s /d/rel/f /through
COPY --from=s /d /all
