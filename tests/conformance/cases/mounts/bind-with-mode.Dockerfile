#: fails 3 mode not allowed for 'bind' type mounts
FROM busybox
RUN --mount=type=bind,target=/m,mode=0700 true
