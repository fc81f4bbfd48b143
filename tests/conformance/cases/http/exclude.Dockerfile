#: args HTTP={http}
#: context copy
FROM busybox
ARG HTTP
ADD --exclude=hello.txt ${HTTP}/hello.txt a.txt /x/
