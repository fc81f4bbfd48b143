FROM busybox
RUN --mount=type=tmpfs,target=/t touch /t/x && ls -a /t > /out && ls -ld /t | cut -c1-10 >> /out && grep ' /t ' /proc/mounts | cut -d' ' -f1-3 >> /out
RUN ls /t 2>&1 >/out2 || true
