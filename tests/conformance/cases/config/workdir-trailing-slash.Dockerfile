FROM busybox
WORKDIR /a/
RUN pwd > /out
