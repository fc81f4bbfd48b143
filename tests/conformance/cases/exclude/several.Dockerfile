FROM busybox
COPY --exclude=*.go --exclude=docs --exclude=**/node_modules . /x/
