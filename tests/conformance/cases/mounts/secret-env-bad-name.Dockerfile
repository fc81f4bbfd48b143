#: secret mine=v
FROM busybox
RUN --mount=type=secret,id=mine,env=A_B1 echo $A_B1 > /out
