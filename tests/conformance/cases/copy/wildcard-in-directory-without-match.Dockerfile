#: fails 3 "/dir/\*.nothing" not found in the build context
FROM busybox
COPY dir/*.nothing /no-match/
