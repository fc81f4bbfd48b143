#: named src={http}/repo.git
FROM busybox
COPY --from=src . /s/
