#: platform darwin/arm64
#: file a a\n
FROM scratch
COPY a /a
