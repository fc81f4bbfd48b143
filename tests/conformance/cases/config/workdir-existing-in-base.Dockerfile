FROM odd
WORKDIR /odd/sticky
RUN touch x
