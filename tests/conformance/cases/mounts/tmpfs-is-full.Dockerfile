#: fails 3 exit code: 1
FROM busybox
RUN --mount=type=tmpfs,target=/t,size=1m head -c 3000000 /dev/zero > /t/x
