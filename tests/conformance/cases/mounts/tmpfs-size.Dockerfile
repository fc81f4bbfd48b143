FROM busybox
RUN --mount=type=tmpfs,target=/t,size=1m df -k /t | awk 'NR>1 {print $2}' > /out
