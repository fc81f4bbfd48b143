#: context ignored
#: file .dockerignore x.log\nvoi\n
FROM busybox
COPY . /x
