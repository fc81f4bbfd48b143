#: secret mine=v
FROM users
USER alice
RUN --mount=type=secret,id=mine,target=/home/alice/.token,uid=1001 cat ~/.token > /tmp/out
