FROM busybox
COPY dir /new
COPY dir/sub /made/by/copy
#: mtimes new new/sub made/by/copy
