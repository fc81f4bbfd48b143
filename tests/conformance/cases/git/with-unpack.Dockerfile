#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --unpack=true ${HTTP}/repo.git /x
