FROM busybox
ADD a.zst /x/
