module lade.example/peers

go 1.26.3

tool (
	github.com/docker/buildx/cmd/buildx
	github.com/moby/buildkit/cmd/buildctl
	github.com/moby/buildkit/cmd/buildkitd
)

require (
	github.com/docker/buildx v0.36.1
	github.com/moby/buildkit v0.32.2
)
