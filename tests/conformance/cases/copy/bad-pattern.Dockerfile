#: fails 3 malformed pattern '\[a-\.txt': unclosed class
FROM busybox
COPY [a-.txt /x/
