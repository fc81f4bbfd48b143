#: context ignored
#: file .dockerignore **\n!a/b/c/d\n
FROM busybox
COPY . /x
