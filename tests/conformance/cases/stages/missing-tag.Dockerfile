#: args REGISTRY={registry}
#: fails 5 other:nope.*404
ARG REGISTRY
# The image exists: other
FROM ${REGISTRY}/other:nope
