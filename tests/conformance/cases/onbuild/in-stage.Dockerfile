FROM busybox AS base
ONBUILD RUN echo triggered > /out
ONBUILD ENV T=1
ONBUILD COPY a.txt /a
RUN echo base > /base
FROM base
RUN echo "$T" > /t
