#: context patterns
FROM busybox
COPY #odd /x/
