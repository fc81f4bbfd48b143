#: context copy
#: fails 4 expecting boolean value for flag --link, not 'maybe'
FROM busybox
COPY --link=maybe a.txt /
