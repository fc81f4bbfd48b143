FROM busybox AS base
ONBUILD ARG X=d
ONBUILD RUN echo $X > /x
FROM base AS one
RUN echo one > /one
FROM base
COPY --from=one /x /one /c/
