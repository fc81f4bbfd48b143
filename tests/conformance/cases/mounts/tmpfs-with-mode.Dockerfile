#: fails 3 mode not allowed for 'tmpfs' type mounts
FROM busybox
RUN --mount=type=tmpfs,target=/t,mode=0700 true
