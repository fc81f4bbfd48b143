#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --unpack --chown=3:4 ${HTTP}/a.tar.gz /x/
