#: args HTTP={http}
#: fails 6 invalid digest 'sha256:short'
ARG HTTP
FROM busybox
ARG HTTP
ADD --checksum=sha256:short ${HTTP}/hello.txt /x
