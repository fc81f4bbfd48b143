FROM busybox AS a
COPY . /c
FROM a
COPY dir/*.nothing /x/
