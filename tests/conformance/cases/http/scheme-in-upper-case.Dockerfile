#: fails 3 "/HTTP:/.*/x" not found in the build context
FROM busybox
ADD HTTP://127.0.0.1:1/x /x
