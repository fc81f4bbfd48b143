FROM busybox
RUN <<OUTER
cat <<INNER > /out
inner
INNER
OUTER
