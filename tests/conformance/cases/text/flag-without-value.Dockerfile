#: context copy
#: fails 4 missing a value on flag: --chown
FROM busybox
COPY --chown a.txt /
