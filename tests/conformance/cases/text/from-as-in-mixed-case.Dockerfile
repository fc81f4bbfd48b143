FROM busybox As one
FROM one
