FROM busybox AS b
RUN --mount=type=tmpfs,target=/x true
COPY <<EOF /real-resolv
mine
EOF
FROM busybox
COPY --from=b /real-resolv /run/real
RUN true
