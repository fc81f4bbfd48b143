#: args HTTP={http}
#: fails 5 checksum
FROM busybox
ARG HTTP
ADD --checksum=0000000000000000000000000000000000000000 ${HTTP}/repo.git#main /x
