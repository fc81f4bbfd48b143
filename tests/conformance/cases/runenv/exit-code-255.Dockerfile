#: fails 3 exit code: 255
FROM busybox
RUN exit 255
