#: fails 4 cannot replace to directory /d/one with file
FROM busybox
RUN mkdir -p /d/one/x
COPY dir /d
