FROM busybox AS s
RUN mkdir -p /d/real && touch /d/real/a /d/real/b && ln -s real /d/rel
FROM busybox
COPY --from=s /d/rel/* /x/
