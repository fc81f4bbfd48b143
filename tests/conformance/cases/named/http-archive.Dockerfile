#: named src={http}/a.tar.gz
FROM busybox
COPY --from=src . /s/
