FROM busybox AS s
RUN mkdir /d && touch /d/f && chown 9:9 /d/f
FROM busybox
COPY --from=s --chown=1:2 /d /x
