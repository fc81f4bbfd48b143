#: fails 3 failed to process '\$\{IMAGE:\?needed\}': IMAGE: needed
ARG IMAGE
FROM ${IMAGE:?needed}
