FROM busybox
RUN mkdir -p /d/e && touch /d/e/1
RUN rm -r /d && mkdir -p /d/e && touch /d/e/2
RUN rm -r /d/e && mkdir /d/e && touch /d/e/3
