#: call outline
FROM scratch
