#: args HTTP={http}
FROM busybox
ARG HTTP
ADD --checksum=719281d5ef9bcad9d401ecbff48b4e2a8ebcd81d ${HTTP}/repo.git#main /x
