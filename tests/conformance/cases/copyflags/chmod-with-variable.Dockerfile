#: args MODE=u+x
FROM busybox
ARG MODE
COPY --chmod=$MODE a.txt /a
