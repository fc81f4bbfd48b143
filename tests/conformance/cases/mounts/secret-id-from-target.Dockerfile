#: secret token=x
FROM busybox
RUN --mount=type=secret,target=/somewhere/token cat /somewhere/token > /out
