#: fails 3 invalid chmod parameter: 'u\+y'\. it should be octal string and between
FROM busybox
COPY --chmod=u+y a.txt /a
