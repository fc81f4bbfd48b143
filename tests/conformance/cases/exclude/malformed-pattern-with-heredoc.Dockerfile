#: fails 3 malformed pattern '\['
FROM busybox
COPY --exclude=[ <<F /x/
f
F
