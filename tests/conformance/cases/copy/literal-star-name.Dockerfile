#: differs layer/1/x*: see below
#: differs tree/x: BuildKit does not find a name that has a star itself
FROM busybox
COPY star[*].txt /x/
