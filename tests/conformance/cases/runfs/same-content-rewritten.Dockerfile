FROM odd
RUN cp /odd/three /tmp/t 2>/dev/null; cat /odd/one > /tmp/o && cat /tmp/o > /odd/one && rm -f /tmp/o /tmp/t
