#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/with%20space.txt /x/
