#: platform linux/amd64,linux/arm64
#: file go.mod module example.org/x\n
#: file go.sum \n
#: file main.go package main\n
#: file cmd/tool/main.go package main\n
ARG GO_VERSION=1.22
FROM --platform=$BUILDPLATFORM busybox AS build
ARG GO_VERSION
RUN printf '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done; echo "$GOOS/$GOARCH $GO_VERSION" > $2\n' > /bin/go && chmod 755 /bin/go
WORKDIR /src
RUN --mount=type=bind,source=go.mod,target=go.mod --mount=type=bind,source=go.sum,target=go.sum \
    --mount=type=cache,target=/go/pkg/mod true
ARG TARGETOS TARGETARCH
RUN mkdir /out
RUN --mount=target=. --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH CGO_ENABLED=0 go build -trimpath -ldflags="-s -w -X main.version=${GO_VERSION}" -o /out/app ./cmd/tool
FROM scratch
COPY --from=build /out/app /app
COPY --from=build --chown=0:0 /etc /etc
USER 65532:65532
ENTRYPOINT ["/app"]
