FROM busybox
RUN --mount=type=cache,id=attrs,target=/c ls -ldn /c | cut -c1-20 > /out
RUN --mount=type=cache,id=attrs2,target=/c,uid=5,gid=6,mode=0700 ls -ldn /c | cut -c1-20 > /out2
