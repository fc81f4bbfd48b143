#: call check
FROM busybox
RUN true
