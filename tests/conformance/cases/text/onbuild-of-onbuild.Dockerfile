#: fails 3 chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed
FROM busybox
ONBUILD ONBUILD RUN x
