#: fails 3 missing a value on flag: --exclude
FROM busybox
COPY --exclude . /x
