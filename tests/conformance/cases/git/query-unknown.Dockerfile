#: args HTTP={http}
#: fails 5 colour
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?colour=red /x
