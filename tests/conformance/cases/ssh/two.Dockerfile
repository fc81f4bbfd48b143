#: ssh a b
FROM busybox
RUN --mount=type=ssh,id=a --mount=type=ssh,id=b env | grep SSH_AUTH_SOCK > /out; ls /run/buildkit >> /out
