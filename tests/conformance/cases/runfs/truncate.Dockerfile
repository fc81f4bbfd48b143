FROM odd
RUN : > /odd/three2; : > /odd/one
