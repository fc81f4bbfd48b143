FROM odd
RUN mv /odd/dir /odd/moved
