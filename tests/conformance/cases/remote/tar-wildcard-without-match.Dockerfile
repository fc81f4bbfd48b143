#: remote tar
#: context copy
FROM busybox
COPY dir/*.nothing /c/
