#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --chown=5:6 --chmod=750 ${HTTP}/repo.git /x
