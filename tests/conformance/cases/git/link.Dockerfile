#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --link ${HTTP}/repo.git /x
