FROM odd
RUN chmod 700 /odd
