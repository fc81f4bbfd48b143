FROM odd
RUN cp -a /odd /copy
