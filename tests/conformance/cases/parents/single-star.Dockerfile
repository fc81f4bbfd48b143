#: context ignored
FROM busybox
COPY --parents */x.log a/*/x.log /x/
