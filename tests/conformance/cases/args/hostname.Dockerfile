#: args BUILDKIT_SANDBOX_HOSTNAME=myhost
FROM busybox
RUN hostname > /out; cat /etc/hosts > /hosts
