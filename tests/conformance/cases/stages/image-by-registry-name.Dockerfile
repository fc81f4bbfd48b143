#: args REGISTRY={registry}
# The image is: other
ARG REGISTRY
FROM ${REGISTRY}/other:latest
COPY --from=other /opt /again
