FROM busybox
WORKDIR /src
RUN --mount=target=. ls > /out
