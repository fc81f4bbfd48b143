#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?ref=other&subdir=sub /x
