#: context ignored
FROM busybox
COPY . /x
