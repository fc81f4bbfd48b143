#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?tag=v1.0 /x
