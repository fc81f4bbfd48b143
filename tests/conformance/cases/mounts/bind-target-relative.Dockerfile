FROM busybox
WORKDIR /w
RUN --mount=target=sub ls sub > out
