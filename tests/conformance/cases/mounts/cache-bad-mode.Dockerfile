#: fails 3 invalid value for mode: 'rwx'
FROM busybox
RUN --mount=type=cache,target=/c,mode=rwx true
