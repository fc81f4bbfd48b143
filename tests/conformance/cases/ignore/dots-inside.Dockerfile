#: context ignored
#: file .dockerignore a/./b/../x.log\nsub//file\n
FROM busybox
COPY . /x
