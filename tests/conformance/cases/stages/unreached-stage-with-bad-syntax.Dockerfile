#: fails 3 unknown flag: --nope
FROM busybox AS bad
COPY --chmod=1 --nope a b
FROM busybox
