FROM odd
RUN rm /odd/one && mkfifo /odd/one
