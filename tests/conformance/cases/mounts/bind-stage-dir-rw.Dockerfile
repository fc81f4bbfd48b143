FROM busybox AS s
RUN mkdir /d && echo x > /d/f
FROM busybox
RUN --mount=from=s,source=/d,target=/m,rw echo y > /m/f && cat /m/f > /out
COPY --from=s /d/f /unchanged
