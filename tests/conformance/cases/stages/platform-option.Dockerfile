#: platform linux/amd64
FROM platforms
