#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --chmod=755 --chown=5:6 ${HTTP}/hello.txt /x
