#: args HTTP={http}
#: mtimes x y/hello.txt
FROM busybox
ARG HTTP
ADD ${HTTP}/hello.txt /x
ADD ${HTTP}/hello.txt /y/
