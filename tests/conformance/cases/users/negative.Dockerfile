#: fails 4 '-1' is out of range: uids and gids are 0 to 2147483647
FROM busybox
USER -1
RUN true
