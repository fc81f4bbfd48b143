#: fails 3 unexpected key 'colour' in --mount
FROM busybox
RUN --mount=target=/m,colour=red true
