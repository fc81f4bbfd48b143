FROM busybox
SHELL ["/bin/sh", "", "-c"]
CMD x
