#: call targets
ARG V=1
FROM golang:$V AS a
FROM --platform=linux/arm64 alpine AS b
# c does it
FROM a AS c
