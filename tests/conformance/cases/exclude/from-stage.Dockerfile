FROM busybox AS s
RUN mkdir -p /d/e && touch /d/a.o /d/b.c /d/e/c.o
FROM busybox
COPY --from=s --exclude=*.o /d /x
COPY --from=s --exclude=**/*.o /d /y
