FROM odd
RUN rm -r /odd
