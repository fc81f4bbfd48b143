#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/hello.txt /one
ADD ${HTTP}/hello.txt /two
