#: context ignored
#: file .dockerignore **/*.log\n!a/x.log\n
FROM busybox
COPY . /x
