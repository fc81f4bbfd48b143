#: fails 3 expecting boolean value for flag --parents, not 'yes-please'
FROM busybox
COPY --parents=yes-please a.txt /x/
