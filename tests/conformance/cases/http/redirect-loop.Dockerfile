#: args HTTP={http}
#: fails 5 http://.*/loop: .* redirects more than 10 times
FROM busybox
ARG HTTP
ADD ${HTTP}/loop /x
