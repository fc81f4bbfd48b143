#: differs tree/w/x: runc makes what a ".." leaves again
#: differs layer/2/w*: so it does
FROM busybox
WORKDIR /w/x/..
RUN true
