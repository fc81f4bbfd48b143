#: call check
FROM busybox AS Unused
MAINTAINER me
FROM scratch
LABEL a b
