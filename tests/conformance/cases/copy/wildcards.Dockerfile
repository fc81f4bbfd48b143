FROM busybox
COPY *.txt /star/
COPY ?.txt /question/
COPY [a-b].txt /class/
COPY d*/*.txt /dirs/
COPY dir* /alldirs/
