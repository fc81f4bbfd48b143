FROM busybox
VOLUME /a /b/
VOLUME ["/c", "/d e"]
VOLUME relative
RUN mkdir -p /a && echo kept > /a/file
