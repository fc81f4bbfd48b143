#: ssh default
FROM busybox
RUN --mount=type=ssh,env=X echo "$X" > /out
