#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/redirect /x/
