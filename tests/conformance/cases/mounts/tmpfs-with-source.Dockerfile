FROM busybox
RUN --mount=type=tmpfs,target=/t,source=a.txt true
