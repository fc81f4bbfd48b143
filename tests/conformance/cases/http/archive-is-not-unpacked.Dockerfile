#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/a.tar.gz /x/
