#: args HTTP={http}
#: fails 5 nothere
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#nothere /x
