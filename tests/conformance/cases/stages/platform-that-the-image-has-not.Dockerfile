#: platform linux/s390x
#: fails 3 no image for linux/s390x; it has linux/amd64, linux/arm64
FROM platforms
