#: secret mine=
FROM busybox
RUN --mount=type=secret,id=mine,required wc -c < /run/secrets/mine > /out
