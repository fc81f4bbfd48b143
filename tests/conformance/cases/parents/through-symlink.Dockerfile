#: context links
#: fails 4 "/to-dir/file" not found
FROM busybox
COPY --parents to-dir/file /x/
