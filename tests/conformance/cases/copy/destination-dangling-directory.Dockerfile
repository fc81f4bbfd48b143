FROM merged
COPY a.txt /dangling/
