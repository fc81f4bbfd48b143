FROM busybox
ADD ["a.tar", "/with space/"]
