#: secret mine=secret
FROM busybox
ENV TOKEN=plain
RUN --mount=type=secret,id=mine,env=TOKEN echo $TOKEN > /out
