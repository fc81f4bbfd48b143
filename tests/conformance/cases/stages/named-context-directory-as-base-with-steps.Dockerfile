#: differs config.history.*: each has a text of its own for the layer that the directory becomes
#: named base=copy
FROM base
ENV A=1
WORKDIR /w
COPY b.txt .
