FROM busybox
HEALTHCHECK --interval=1h1m1s --timeout=1.5s --start-period=100ms CMD x
