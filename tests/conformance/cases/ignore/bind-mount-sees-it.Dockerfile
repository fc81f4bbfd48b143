#: file .dockerignore docs\n*.go\n
FROM busybox
RUN --mount=type=bind,target=/ctx find /ctx | sort > /out
