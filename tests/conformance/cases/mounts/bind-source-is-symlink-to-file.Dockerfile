#: context links
#: fails 4 "/dangling" not found in the build context
FROM busybox
RUN --mount=source=dangling,target=/m true
