#: args HTTP={http}
#: context copy
FROM busybox
ARG HTTP
ADD a.txt ${HTTP}/hello.txt b.txt /x/
