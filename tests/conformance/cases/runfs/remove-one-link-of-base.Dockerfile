FROM odd
RUN rm /odd/two
