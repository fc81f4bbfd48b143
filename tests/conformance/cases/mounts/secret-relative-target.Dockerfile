#: secret mine=x
FROM busybox
WORKDIR /w
RUN --mount=type=secret,id=mine,target=token cat token /w/token > /out
