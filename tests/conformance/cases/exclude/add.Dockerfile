FROM busybox
ADD --exclude=*.go --exclude=.git . /x/
