#: differs layer/2/x*: a second copy of the same file is in its layer, BuildKit sees that nothing changed
FROM busybox
COPY a.txt a.txt /x/
COPY a.txt /x/
