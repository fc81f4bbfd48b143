#: context ignored
#: file .dockerignore sub
FROM busybox
COPY . /x
