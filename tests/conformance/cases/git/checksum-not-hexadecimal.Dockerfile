#: args HTTP={http}
#: fails 5 http://.*/repo\.git: invalid checksum xyz for git, expected hex commit hash
FROM busybox
ARG HTTP
ADD --checksum=xyz ${HTTP}/repo.git /x
