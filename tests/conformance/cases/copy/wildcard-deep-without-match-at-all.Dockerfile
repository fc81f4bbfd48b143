#: fails 3 "/dir/sub/\*/\*.nothing" not found
FROM busybox
COPY dir/sub/*/*.nothing /deep-no-match/
