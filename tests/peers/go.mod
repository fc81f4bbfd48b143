module lade.example/peers

go 1.26.3

tool (
	github.com/moby/buildkit/cmd/buildctl
	github.com/moby/buildkit/cmd/buildkitd
)

require github.com/moby/buildkit v0.32.2
