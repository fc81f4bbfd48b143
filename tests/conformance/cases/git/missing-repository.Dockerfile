#: args HTTP={http}
#: fails 5 nothere\.git
FROM busybox
ARG HTTP
ADD ${HTTP}/nothere.git /x
