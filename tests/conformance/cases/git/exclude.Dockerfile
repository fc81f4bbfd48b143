#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --exclude=sub ${HTTP}/repo.git /x
