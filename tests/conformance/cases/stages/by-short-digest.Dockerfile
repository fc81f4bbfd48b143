#: args REGISTRY={registry}
#: fails 4 invalid reference format: '.*/other@sha256:00': invalid digest
ARG REGISTRY
FROM ${REGISTRY}/other@sha256:00
