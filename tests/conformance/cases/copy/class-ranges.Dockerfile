#: context patterns
FROM busybox
COPY x[0-9] /digits/
COPY x[^0-9] /others/
COPY x[!0-9] /bang/
