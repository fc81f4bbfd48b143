#: context ignored
FROM busybox
COPY --parents **/x.log /x/
