#: args HTTP={http}
#: fails 5 http://.*/repo\.git#719281d: the repository has no branch or tag '719281d'
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#719281d /x
