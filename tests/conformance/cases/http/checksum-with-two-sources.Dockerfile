#: args HTTP={http}
#: context copy
#: fails 6 checksum can't be specified for multiple sources
FROM busybox
ARG HTTP
ADD --checksum=sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 ${HTTP}/hello.txt a.txt /x/
