#: context ignored
FROM busybox
COPY --exclude=a/ . /x/
