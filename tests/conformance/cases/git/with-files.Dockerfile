#: args HTTP={http}
#: context copy
FROM busybox
ARG HTTP
ADD a.txt ${HTTP}/repo.git /x/
