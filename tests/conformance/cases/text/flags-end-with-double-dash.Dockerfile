#: context copy
FROM busybox
RUN -- echo x > /out
