#: args HTTP={http}
#: fails 5 http://.*/repo\.git#main:README: 'README' of 'README' is not a directory
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#main:README /x
