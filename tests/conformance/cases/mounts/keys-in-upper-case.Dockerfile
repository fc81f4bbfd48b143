FROM busybox
RUN --mount=TYPE=tmpfs,TARGET=/t ls -a /t > /out
