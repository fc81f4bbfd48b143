#: fails 3 invalid chmod parameter: 'rwx'\. it should be octal string and between
FROM busybox
COPY --chmod=rwx a.txt /a
