#: args REGISTRY={registry}
#: fails 4 not/there:1
ARG REGISTRY
FROM ${REGISTRY}/not/there:1
