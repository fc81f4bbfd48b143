#: platform linux/amd64,linux/s390x
#: fails 3 linux/s390x
FROM platforms
