#: secret mine="top secret\n"
FROM busybox
RUN --mount=type=secret,id=mine cat /run/secrets/mine > /out && ls -ln /run/secrets/mine | cut -c1-20 >> /out && ls -ld /run /run/secrets | cut -c1-10 >> /out
