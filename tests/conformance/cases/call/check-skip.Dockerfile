#: call check
# check=skip=MaintainerDeprecated
FROM busybox
MAINTAINER me
ENV a b
