#: secret mine=both
FROM busybox
RUN --mount=type=secret,id=mine,env=TOKEN,target=/token (echo "$TOKEN"; cat /token) > /out
