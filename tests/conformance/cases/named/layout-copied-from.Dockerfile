#: named src=layout:other
FROM busybox
COPY --from=src /opt /o
