#: fails 3 COPY requires at least two arguments, but only one was provided: the destination could not be determined
FROM busybox
COPY ["a.txt"]
