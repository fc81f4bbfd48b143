#: fails 3 failed to process '"with': unexpected end of statement while looking
FROM busybox
COPY "with space.txt" /quoted/
