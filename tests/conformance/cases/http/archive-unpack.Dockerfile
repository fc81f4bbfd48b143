#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --unpack ${HTTP}/a.tar.gz /x/
