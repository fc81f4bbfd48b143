#: context ignored
#: file .dockerignore **/*\n!x.log\n
FROM busybox
COPY . /x
