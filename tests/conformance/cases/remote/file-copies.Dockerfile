#: remote file
FROM busybox
COPY . /c/
