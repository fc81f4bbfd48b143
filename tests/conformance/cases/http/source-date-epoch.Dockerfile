#: args HTTP={http} SOURCE_DATE_EPOCH=1700000000
#: mtimes x
FROM busybox
ARG HTTP
ADD ${HTTP}/hello.txt /x
