#: context patterns
FROM busybox
COPY src/x/* /x/
COPY src/x/.* /y/
