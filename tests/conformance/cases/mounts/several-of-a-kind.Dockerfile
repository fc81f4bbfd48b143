FROM busybox
RUN --mount=type=cache,id=s1,target=/c1 --mount=type=cache,id=s2,target=/c2 touch /c1/a /c2/b && ls /c1 /c2 > /out
