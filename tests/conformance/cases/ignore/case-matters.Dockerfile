#: context ignored
#: file .dockerignore Sub\n
FROM busybox
COPY . /x
