#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git?branch=main&checksum=719281d5ef9b /x
