#: fails 3 "/ftp:/127\.0\.0\.1/x" not found in the build context
FROM busybox
ADD ftp://127.0.0.1/x /x
