#: fails 3 exit code: 137
FROM busybox
RUN sh -c 'kill -9 $$'; exit $?
