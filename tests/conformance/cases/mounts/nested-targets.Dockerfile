FROM busybox
RUN --mount=source=dir,target=/m --mount=type=tmpfs,target=/m/void --mount=source=dir2,target=/m/sub sh -c 'find /m | sort' > /out
