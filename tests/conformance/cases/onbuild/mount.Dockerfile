FROM busybox AS base
ONBUILD RUN --mount=type=bind,target=/m cp /m/a.txt /a
FROM base
