#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#v1.0 /x
