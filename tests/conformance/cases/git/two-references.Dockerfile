#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#v1.0 /one
ADD ${HTTP}/repo.git#other /two
