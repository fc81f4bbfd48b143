#: label empty=
FROM busybox
LABEL other=x
