#: args HTTP={http}
#: fails 5 source can't be a git ref for COPY
FROM busybox
ARG HTTP
COPY ${HTTP}/repo.git /x
