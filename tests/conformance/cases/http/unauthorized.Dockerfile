#: args HTTP={http}
#: fails 5 http://.*/token: server said 401 Unauthorized
FROM busybox
ARG HTTP
ADD ${HTTP}/token /x
