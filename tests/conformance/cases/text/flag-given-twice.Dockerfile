#: context copy
#: fails 4 duplicate flag specified: --chown
FROM busybox
COPY --chown=1 --chown=2 a.txt /
