#: fails 3 --mount: no value given
FROM busybox
RUN --mount= true
