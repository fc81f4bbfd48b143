#: named src={http}/hello.txt
FROM busybox
COPY --from=src . /s/
