#: secret mine=x
FROM busybox
RUN --mount=type=secret,id=mine,target=/etc/token,mode=0440,uid=5,gid=6 (cat /etc/token; ls -ln /etc/token | cut -c1-20) > /out
