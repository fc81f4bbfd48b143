FROM busybox
RUN --mount=target=/m,rw touch /m/new && ls /m/new > /out
RUN --mount=target=/m,rw=true ls /m > /out2
RUN --mount=target=/m,readwrite echo x > /m/a.txt
