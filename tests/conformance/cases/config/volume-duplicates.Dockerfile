FROM busybox
VOLUME /a /a /a/
VOLUME ["/a"]
