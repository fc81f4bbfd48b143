#: fails 3 library/0
FROM busybox
FROM 0
