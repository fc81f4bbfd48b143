FROM odd
RUN mv /odd/one /odd/three 2>/dev/null || mv /odd/one /odd/dir/b
