#: args HTTP={http}
FROM busybox AS base
ONBUILD ARG HTTP
ONBUILD ADD ${HTTP}/hello.txt /x
FROM base
