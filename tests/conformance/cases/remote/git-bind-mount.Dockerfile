#: remote git
#: context copy
FROM busybox
RUN --mount=target=/c ls -R /c > /list
RUN --mount=target=/m,source=dir/one cat /m > /one
