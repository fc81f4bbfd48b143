#: fails 3 invalid mount target "/"
FROM busybox
RUN --mount=type=bind,source=a.txt true
