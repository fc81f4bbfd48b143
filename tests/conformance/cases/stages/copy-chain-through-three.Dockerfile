FROM busybox AS a
RUN mkdir /d && echo a > /d/a && chown 3 /d
FROM scratch AS b
COPY --from=a /d /d
FROM busybox
COPY --from=b /d /d
