#: context ignored
#: file .dockerignore a\n
FROM busybox
ADD . /x/
RUN --mount=target=/m find /m | sort > /list
