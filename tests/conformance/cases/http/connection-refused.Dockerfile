#: fails 3 127\.0\.0\.1:1
FROM busybox
ADD http://127.0.0.1:1/x /x
