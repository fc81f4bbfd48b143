FROM odd
RUN rm /odd/one && mkdir /odd/one && touch /odd/one/x
