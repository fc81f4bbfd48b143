#: args HTTP={http}
#: secret "HTTP_AUTH_HEADER_127.0.0.1=Basic dXNlcjpwYXNz"
FROM busybox
ARG HTTP
ADD ${HTTP}/basic /x
