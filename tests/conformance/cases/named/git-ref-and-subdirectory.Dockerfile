#: named src={http}/repo.git#other:sub
FROM busybox
COPY --from=src . /s/
