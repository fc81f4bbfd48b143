#: fails 4 cannot replace to directory /d/a\.txt with file
FROM busybox
RUN mkdir -p /d/a.txt/x
COPY *.txt /d/
