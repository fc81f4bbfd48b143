#: context ignored
#: file .dockerignore    x.log   \n  ! a\n
FROM busybox
COPY . /x
