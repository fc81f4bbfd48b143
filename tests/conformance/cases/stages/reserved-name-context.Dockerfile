FROM busybox AS context
