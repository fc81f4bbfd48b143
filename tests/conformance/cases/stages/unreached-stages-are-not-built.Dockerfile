FROM busybox AS bad
RUN exit 1
FROM nosuchhost.invalid/image AS unreachable
FROM busybox
RUN true
