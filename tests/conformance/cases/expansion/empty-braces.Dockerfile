#: fails 3 failed to process '\$\{\}': syntax error: bad substitution
FROM busybox
ENV A=${}
