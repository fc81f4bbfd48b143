#: fails 4 '4294967296' is out of range: uids and gids are 0 to 2147483647
FROM busybox
USER 4294967296
RUN true
