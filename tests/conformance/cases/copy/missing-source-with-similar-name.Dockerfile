#: fails 3 "/a\.tx" not found(?s:.*)did you mean /a\.txt\?
FROM busybox
COPY a.tx /x
