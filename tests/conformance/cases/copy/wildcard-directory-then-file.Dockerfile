#: context patterns
FROM busybox
COPY src/*/y /x/
COPY */deep /y/
