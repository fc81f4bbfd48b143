#: args B=cli
FROM busybox
ARG A=1 B C=3
RUN echo "$A $B $C" > /out
