#: fails 3 invalid value for size: 'many'
FROM busybox
RUN --mount=type=tmpfs,target=/t,size=many true
