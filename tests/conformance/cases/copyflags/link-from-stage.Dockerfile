FROM busybox AS s
RUN mkdir /d && touch /d/f && chown 3:3 /d/f
FROM busybox
COPY --link --from=s /d /x
