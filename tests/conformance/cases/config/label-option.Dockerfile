#: label cli=yes over=cli
FROM busybox
LABEL over=file
