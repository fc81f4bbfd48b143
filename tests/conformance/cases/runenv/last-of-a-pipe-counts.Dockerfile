FROM busybox
RUN false | true
