#: args HTTP={http}
#: fails 5 ref conflicts: "other" vs "main"
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?ref=main#other /x
