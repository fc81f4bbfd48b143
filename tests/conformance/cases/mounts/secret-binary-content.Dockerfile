#: secret mine=a\n\n\tb\n\n
FROM busybox
RUN --mount=type=secret,id=mine cp /run/secrets/mine /out
