#: differs config.history.*: each has a text of its own for the layer that the directory becomes
#: named base=copy
FROM base
COPY --from=base a.txt /again
