#: platform linux/amd64,linux/amd64
#: differs platform/*: one platform is not an index, however often it is named
FROM scratch
LABEL a=b
