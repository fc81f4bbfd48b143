#: fails 3 malformed pattern '\['
FROM busybox
COPY --exclude=[ a.go /x/
