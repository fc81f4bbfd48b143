#: secret mine="value with spaces"
FROM busybox
RUN --mount=type=secret,id=mine,env=TOKEN echo "$TOKEN" > /out; ls /run/secrets >> /out 2>&1; true
