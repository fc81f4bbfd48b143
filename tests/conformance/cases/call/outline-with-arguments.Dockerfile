#: call outline
#: target dev
#: args VERSION=2 MODE=slow UNKNOWN=x
# VERSION is the version
ARG VERSION=1
ARG OTHER
# build makes it
FROM busybox AS build
# MODE says how
ARG MODE=fast
ARG VERSION
RUN --mount=type=secret,id=token,required --mount=type=ssh true
RUN --mount=type=secret,id=opt true
# Not a description
FROM build AS dev
ARG DEV=1
FROM scratch AS final
COPY --from=build /x /y
