FROM busybox
COPY --exclude=*_test.go *.go /x/
