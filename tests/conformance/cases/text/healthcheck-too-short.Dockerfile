#: fails 3 interval 'interval' cannot be less than 1ms
FROM busybox
HEALTHCHECK --interval=1us CMD true
