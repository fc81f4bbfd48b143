FROM odd
RUN rm -r /odd && mkdir /odd && touch /odd/new
