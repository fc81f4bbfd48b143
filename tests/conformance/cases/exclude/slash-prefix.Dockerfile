#: context ignored
FROM busybox
COPY --exclude=/a --exclude=./sub . /x/
