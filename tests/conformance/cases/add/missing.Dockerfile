#: fails 3 "/missing\.tar" not found in the build context
FROM busybox
ADD missing.tar /x/
