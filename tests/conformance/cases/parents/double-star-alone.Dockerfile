#: context ignored
FROM busybox
COPY --parents ** /x/
