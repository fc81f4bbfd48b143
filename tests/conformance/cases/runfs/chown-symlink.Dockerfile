FROM merged
RUN chown -h 7:8 /abs
