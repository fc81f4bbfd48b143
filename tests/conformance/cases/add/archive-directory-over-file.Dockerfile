FROM busybox
RUN mkdir /x && touch /x/d
ADD a.tar /x/
