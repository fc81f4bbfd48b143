#: fails 5 'from' doesn't support variable expansion in --mount
FROM busybox AS one
FROM busybox
ARG S=one
RUN --mount=from=$S,target=/m ls /m
