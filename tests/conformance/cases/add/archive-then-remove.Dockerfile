FROM busybox
ADD a.tar /x/
RUN rm -r /x/d && touch /x/after
