#: remote tar
#: context copy
FROM busybox
RUN --mount=target=/c,rw ls -R /c > /list && touch /c/x
