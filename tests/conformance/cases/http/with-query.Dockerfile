#: args HTTP={http}
FROM busybox
ARG HTTP
ADD ${HTTP}/hello.txt?version=2 /x/
