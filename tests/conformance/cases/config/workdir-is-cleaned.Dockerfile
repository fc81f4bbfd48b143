FROM busybox
WORKDIR /a/../b/./c//d/
