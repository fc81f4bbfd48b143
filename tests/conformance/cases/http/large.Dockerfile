#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/large.bin /x
