#: file .dockerignore x[0-9]\n[!.]env\n
FROM busybox
COPY . /x
