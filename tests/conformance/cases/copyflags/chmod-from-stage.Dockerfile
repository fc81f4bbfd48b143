FROM busybox AS s
RUN mkdir -p /d/e && touch /d/f && chmod 600 /d/f
FROM busybox
COPY --from=s --chmod=755 /d /x
