FROM busybox AS seed
RUN mkdir /s && echo seed > /s/f && chown 3:4 /s/f
FROM busybox
RUN --mount=type=cache,id=seeded,from=seed,source=/s,target=/c cat /c/f > /out && ls -ln /c | cut -c1-20 >> /out
