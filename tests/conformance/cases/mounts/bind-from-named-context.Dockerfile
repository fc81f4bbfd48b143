#: named extra=links
FROM busybox
RUN --mount=from=extra,target=/m find /m | sort > /out
