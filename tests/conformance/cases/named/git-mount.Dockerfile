#: named src={http}/repo.git#v1.0
FROM busybox
RUN --mount=from=src,target=/s ls -R /s > /list
