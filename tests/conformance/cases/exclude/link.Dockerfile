FROM busybox
COPY --link --exclude=src . /x/
