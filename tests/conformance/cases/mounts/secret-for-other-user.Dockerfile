#: secret mine=x
#: fails 5 exit code: 1
FROM busybox
USER nobody
RUN --mount=type=secret,id=mine cat /run/secrets/mine
