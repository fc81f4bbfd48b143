#: fails 3 invalid chmod parameter: '10000'\. it should be octal string and
FROM busybox
COPY --chmod=10000 a.txt /a
