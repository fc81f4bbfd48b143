#: args HTTP={http}
#: secret HTTP_AUTH_TOKEN_127.0.0.1=sesame
FROM busybox
ARG HTTP
ADD ${HTTP}/token /x
