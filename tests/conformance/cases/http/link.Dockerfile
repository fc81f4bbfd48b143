#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --link ${HTTP}/hello.txt /x/
