#: args HTTP={http}
#: fails 5 http://.*/broken: .* answered 500
FROM busybox
ARG HTTP
ADD ${HTTP}/broken /x
