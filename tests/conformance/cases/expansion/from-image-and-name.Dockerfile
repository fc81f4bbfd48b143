#: args IMAGE=busybox
ARG IMAGE=nothing
ARG STAGE=base
FROM ${IMAGE}:${TAG:-latest} AS base
RUN echo x > /out
