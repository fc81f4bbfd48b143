#: remote file
#: fails 4 "/Dockerfile" not found
FROM busybox
COPY Dockerfile /c/
