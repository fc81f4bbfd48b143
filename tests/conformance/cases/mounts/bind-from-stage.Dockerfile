FROM busybox AS s
RUN mkdir /d && echo x > /d/f && chown 4:5 /d/f && chmod 600 /d/f
FROM busybox
RUN --mount=from=s,source=/d,target=/m ls -ln /m | cut -c1-30 > /out
