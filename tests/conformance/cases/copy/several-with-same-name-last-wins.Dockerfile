FROM busybox
COPY dir/two.txt dir2/two.txt /x/
