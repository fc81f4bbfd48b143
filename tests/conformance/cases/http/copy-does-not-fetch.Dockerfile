#: args HTTP={http}
#: fails 5 source can't be a URL for COPY
FROM busybox
ARG HTTP
COPY ${HTTP}/hello.txt /x
