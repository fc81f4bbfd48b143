#: args HTTP={http}
#: fails 5 404
FROM busybox
ARG HTTP
ADD ${HTTP}/nothing-here /x
