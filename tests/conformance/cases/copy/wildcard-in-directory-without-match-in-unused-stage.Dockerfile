#: fails 5 "/dir/\*.nothing" not found in the build context
FROM busybox AS unused
COPY dir /d
FROM busybox
COPY dir/*.nothing /no-match-unused/
