#: context links
FROM busybox
COPY to-file /x
COPY to-dir /y
COPY to-dir/file /z
COPY to-sub/inner /i
COPY absolute /abs
