#: context copy
#: fails 4 --chwon(?s:.*)did you mean --chown\?
FROM busybox
COPY --chwon=1 a.txt /
