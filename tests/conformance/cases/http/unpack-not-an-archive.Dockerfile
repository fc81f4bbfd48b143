#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --unpack ${HTTP}/hello.txt /x/
