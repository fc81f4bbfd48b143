#: ssh default
FROM busybox
USER 1000
RUN --mount=type=ssh,uid=1000 test -w $SSH_AUTH_SOCK
