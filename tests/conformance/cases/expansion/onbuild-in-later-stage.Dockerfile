FROM busybox AS base
ENV V=then
ONBUILD ENV W=$V
FROM base
