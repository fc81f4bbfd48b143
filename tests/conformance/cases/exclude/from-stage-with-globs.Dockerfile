FROM busybox AS s
RUN mkdir -p /s/keep /s/drop && touch /s/keep/1.o /s/keep/2.c /s/drop/3.c
FROM busybox
COPY --from=s --exclude=drop --exclude=*/*.o /s /x/
