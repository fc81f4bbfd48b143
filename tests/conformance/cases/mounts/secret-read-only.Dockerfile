#: secret mine=x
#: fails 4 exit code: 1
FROM busybox
RUN --mount=type=secret,id=mine echo more > /run/secrets/mine
