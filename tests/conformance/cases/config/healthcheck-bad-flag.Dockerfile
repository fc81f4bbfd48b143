#: fails 3 unknown flag: --frequency
FROM busybox
HEALTHCHECK --frequency=1s CMD x
