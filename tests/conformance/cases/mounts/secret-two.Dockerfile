#: secret one=1 two=2
FROM busybox
RUN --mount=type=secret,id=one --mount=type=secret,id=two cat /run/secrets/one /run/secrets/two > /out
