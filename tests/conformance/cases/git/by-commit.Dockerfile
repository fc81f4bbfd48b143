#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/repo.git#719281d5ef9bcad9d401ecbff48b4e2a8ebcd81d /x
