FROM busybox
RUN --mount=target=/m,ro cat /m/a.txt > /out
RUN --mount=target=/m,readonly=true cat /m/a.txt > /out2
