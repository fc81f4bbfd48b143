FROM busybox
ADD --exclude=d/link a.tar /x/
