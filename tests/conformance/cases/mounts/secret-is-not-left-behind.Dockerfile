#: secret mine=x
FROM busybox
RUN --mount=type=secret,id=mine touch /out
RUN --mount=type=secret,id=mine,target=/deep/down/secret touch /out2
