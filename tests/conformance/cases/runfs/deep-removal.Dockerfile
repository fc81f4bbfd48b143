FROM busybox
RUN mkdir -p /a/b/c/d && touch /a/b/c/d/f /a/b/g
RUN rm -r /a/b/c
RUN mkdir -p /a/b/c && touch /a/b/c/new
