FROM busybox
WORKDIR /gone
RUN rmdir /gone && touch /after
