#: fails 3 invalid chmod parameter: '999'\. it should be octal string and between
FROM busybox
COPY --chmod=999 a.txt /a
