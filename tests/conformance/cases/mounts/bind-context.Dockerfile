FROM busybox
RUN --mount=type=bind,target=/m (cd /m && find . | sort && cat a.txt && ls -ln script.sh private | cut -c1-25) > /out
