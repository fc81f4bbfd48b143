FROM busybox
RUN ec\
ho joi\
ned > /out
ENV LO\
NG=va\
lue
