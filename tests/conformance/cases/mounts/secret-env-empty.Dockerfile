#: secret mine=v
#: fails 4 env
FROM busybox
RUN --mount=type=secret,id=mine,env= true
