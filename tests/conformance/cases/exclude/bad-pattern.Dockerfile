#: fails 3 malformed pattern '\[a-': unclosed class
FROM busybox
COPY --exclude=[a- . /x/
