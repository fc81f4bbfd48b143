FROM busybox
RUN rm -r /tmp
RUN mkdir -m 700 /tmp && touch /tmp/x
